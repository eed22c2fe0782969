rule compress:
    input:
        inputs("compress"),
    output:
        outputs("compress"),
    log:
        "logs/{experiment}/compress.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    params:
        sections=sections("compress"),
    shell:
        "python -m msroi compress --experiment {wildcards.experiment} 2>&1 | tee {log}"
