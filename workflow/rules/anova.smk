rule anova:
    input:
        inputs("anova"),
    output:
        outputs("anova"),
    params:
        sections=sections("anova"),
    log:
        "logs/{experiment}/anova.log",
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi anova --experiment {wildcards.experiment} 2>&1 | tee {log}"
