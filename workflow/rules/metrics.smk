rule metrics:
    input:
        inputs("metrics"),
    output:
        outputs("metrics"),
    params:
        sections=sections("metrics"),
    log:
        "logs/{experiment}/metrics.log",
    threads: workflow.cores
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi metrics --experiment {wildcards.experiment} 2>&1 | tee {log}"
