rule prepare:
    input:
        inputs("prepare"),
    output:
        outputs("prepare"),
    params:
        sections=sections("prepare"),
    log:
        "logs/{experiment}/prepare.log",
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi prepare --experiment {wildcards.experiment} 2>&1 | tee {log}"
