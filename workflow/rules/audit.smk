rule audit:
    input:
        inputs("audit"),
    output:
        outputs("audit"),
    log:
        "logs/{experiment}/audit.log",
    conda:
        "../envs/msroi.yaml"
    params:
        decides=decides("audit"),
    shell:
        "python -m msroi audit --experiment {wildcards.experiment} 2>&1 | tee {log}"
