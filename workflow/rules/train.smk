rule train:
    input:
        inputs("train"),
    output:
        outputs("train"),
    params:
        sections=sections("train"),
    log:
        "logs/{experiment}/train.log",
    threads: workflow.cores
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi train --experiment {wildcards.experiment} 2>&1 | tee {log}"
