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


# A stage that DVC runs again may come out as it was. To DVC, which goes by content, there is then
# nothing to adopt, but to Snakemake the files are new. So the mark goes, and `adopt` has to run,
# whose own `snakemake --touch` must leave it.
onstart:
    stage, _, experiment = os.environ.get("DVC_STAGE", "").partition("@")
    if stage not in ("", pipeline.ADOPT):
        Path(f".msroi/{experiment}/agreed").unlink(missing_ok=True)
