rule compress_chunk:
    input:
        inputs("compress"),
    output:
        temp(directory(CHUNK["compress"])),
    log:
        "logs/{experiment}/compress/{scatteritem}.{hash}.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    shell:
        "python -m msroi compress --experiment {wildcards.experiment} "
        "--chunk {wildcards.scatteritem} --into {output} 2>&1 | tee {log}"


rule compress:
    input:
        inputs("compress"),
        chunks=chunks("compress"),
    output:
        outputs("compress"),
    log:
        "logs/{experiment}/compress.log",
    localrule: True
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("compress"),
    shell:
        "python -m msroi compress --experiment {wildcards.experiment} "
        "--gather {input.chunks} 2>&1 | tee {log}"
