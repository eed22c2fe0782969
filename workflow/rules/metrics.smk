rule metrics:
    input:
        inputs("metrics"),
    output:
        outputs("metrics"),
    log:
        "logs/{experiment}/metrics.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    params:
        sections=sections("metrics"),
    shell:
        "python -m msroi metrics --experiment {wildcards.experiment} 2>&1 | tee {log}"
