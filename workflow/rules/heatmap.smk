rule heatmap:
    input:
        inputs("heatmap"),
    output:
        outputs("heatmap"),
    params:
        sections=sections("heatmap"),
    log:
        "logs/{experiment}/heatmap.log",
    threads: workflow.cores
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi heatmap --experiment {wildcards.experiment} 2>&1 | tee {log}"
