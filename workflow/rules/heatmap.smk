rule heatmap_chunk:
    input:
        inputs("heatmap"),
    output:
        temp(directory(CHUNK["heatmap"])),
    log:
        "logs/{experiment}/heatmap/{scatteritem}.{hash}.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    shell:
        "python -m msroi heatmap --experiment {wildcards.experiment} "
        "--chunk {wildcards.scatteritem} --into {output} 2>&1 | tee {log}"


rule heatmap:
    input:
        inputs("heatmap"),
        chunks=chunks("heatmap"),
    output:
        outputs("heatmap"),
    log:
        "logs/{experiment}/heatmap.log",
    localrule: True
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("heatmap"),
    shell:
        "python -m msroi heatmap --experiment {wildcards.experiment} "
        "--gather {input.chunks} 2>&1 | tee {log}"
