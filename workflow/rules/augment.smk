rule augment:
    input:
        inputs("augment"),
    output:
        outputs("augment"),
    params:
        sections=sections("augment"),
    log:
        "logs/{experiment}/augment.log",
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi augment --experiment {wildcards.experiment} 2>&1 | tee {log}"
