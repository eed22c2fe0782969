rule compress:
    input:
        inputs("compress"),
    output:
        outputs("compress"),
    params:
        sections=sections("compress"),
    log:
        "logs/{experiment}/compress.log",
    threads: workflow.cores
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi compress --experiment {wildcards.experiment} 2>&1 | tee {log}"
