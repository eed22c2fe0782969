rule heatmap:
    input:
        inputs("heatmap"),
    output:
        outputs("heatmap"),
    log:
        "logs/{experiment}/heatmap.log",
    conda:
        "../envs/msroi.yaml"
    threads: workflow.cores
    params:
        sections=sections("heatmap"),
    shell:
        "python -m msroi heatmap --experiment {wildcards.experiment} 2>&1 | tee {log}"
