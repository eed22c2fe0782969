rule conventions:
    input:
        inputs("conventions"),
    output:
        outputs("conventions"),
    log:
        "logs/{experiment}/conventions.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    params:
        decides=decides("conventions"),
    shell:
        "python -m msroi conventions --experiment {wildcards.experiment} 2>&1 | tee {log}"
