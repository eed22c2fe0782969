rule prepare:
    input:
        inputs("prepare"),
    output:
        outputs("prepare"),
    log:
        "logs/{experiment}/prepare.log",
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("prepare"),
    shell:
        "python -m msroi prepare --experiment {wildcards.experiment} 2>&1 | tee {log}"
