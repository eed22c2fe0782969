rule rate_distortion:
    input:
        inputs("rate_distortion"),
    output:
        outputs("rate_distortion"),
    log:
        "logs/{experiment}/rate_distortion.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    params:
        decides=decides("rate_distortion"),
    shell:
        "python -m msroi rate_distortion --experiment {wildcards.experiment} 2>&1 | tee {log}"
