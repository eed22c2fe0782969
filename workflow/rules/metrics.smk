rule metrics_chunk:
    input:
        inputs("metrics"),
    output:
        temp(directory(CHUNK["metrics"])),
    log:
        "logs/{experiment}/metrics/{scatteritem}.{hash}.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    shell:
        "python -m msroi metrics --experiment {wildcards.experiment} "
        "--chunk {wildcards.scatteritem} --into {output} 2>&1 | tee {log}"


rule metrics:
    input:
        inputs("metrics"),
        chunks=chunks("metrics"),
    output:
        outputs("metrics"),
    log:
        "logs/{experiment}/metrics.log",
    localrule: True
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("metrics"),
    shell:
        "python -m msroi metrics --experiment {wildcards.experiment} "
        "--gather {input.chunks} 2>&1 | tee {log}"
