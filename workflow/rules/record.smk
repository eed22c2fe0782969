# The last rule: DVC takes over what a full run made. The mark says that both agree.
rule record:
    input:
        STAGES[pipeline.ADOPT].deps,
    output:
        ".msroi/{experiment}/agreed",
    log:
        "logs/{experiment}/record.log",
    localrule: True
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi record --experiment {wildcards.experiment} 2>&1 | tee {log}"
