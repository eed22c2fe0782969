rule download:
    input:
        inputs("download"),
    output:
        outputs("download"),
    params:
        sections=sections("download"),
    log:
        "logs/{experiment}/download.log",
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi download --experiment {wildcards.experiment} 2>&1 | tee {log}"
