rule augment:
    input:
        inputs("augment"),
    output:
        outputs("augment"),
    log:
        "logs/{experiment}/augment.log",
    localrule: True
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("augment"),
    shell:
        "python -m msroi augment --experiment {wildcards.experiment} 2>&1 | tee {log}"
