rule report:
    input:
        inputs("report"),
    output:
        outputs("report"),
    params:
        sections=sections("report"),
    log:
        "logs/{experiment}/report.log",
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi report --experiment {wildcards.experiment} 2>&1 | tee {log}"
