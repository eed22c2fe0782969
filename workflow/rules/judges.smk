rule judges:
    input:
        inputs("judges"),
    output:
        outputs("judges"),
    log:
        "logs/{experiment}/judges.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    params:
        decides=decides("judges"),
    shell:
        "python -m msroi judges --experiment {wildcards.experiment} 2>&1 | tee {log}"
