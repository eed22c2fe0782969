rule anova:
    input:
        inputs("anova"),
    output:
        outputs("anova"),
    log:
        "logs/{experiment}/anova.log",
    localrule: True
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("anova"),
    shell:
        "python -m msroi anova --experiment {wildcards.experiment} 2>&1 | tee {log}"
