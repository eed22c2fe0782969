# The last rule: DVC takes over what a full run made. The marker says it did.
rule record:
    input:
        [out for name in STAGES if name != pipeline.ADOPT for out in STAGES[name].outs],
    output:
        touch(".msroi/{experiment}/recorded"),
    log:
        "logs/{experiment}/record.log",
    conda:
        "../envs/msroi.yaml"
    shell:
        "python -m msroi record --experiment {wildcards.experiment} 2>&1 | tee {log}"
