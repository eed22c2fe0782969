rule report:
    input:
        inputs("report"),
    output:
        outputs("report"),
    log:
        "logs/{experiment}/report.log",
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("report"),
    shell:
        "python -m msroi report --experiment {wildcards.experiment} 2>&1 | tee {log}"
