rule train:
    input:
        inputs("train"),
    output:
        outputs("train"),
    log:
        "logs/{experiment}/train.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    params:
        decides=decides("train"),
    shell:
        "python -m msroi train --experiment {wildcards.experiment} 2>&1 | tee {log}"
