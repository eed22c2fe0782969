rule download:
    input:
        inputs("download"),
    output:
        outputs("download"),
    log:
        "logs/{experiment}/download.log",
    localrule: True
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("download"),
    shell:
        "python -m msroi download --experiment {wildcards.experiment} 2>&1 | tee {log}"
