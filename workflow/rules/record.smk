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
# nothing to adopt, but to Snakemake the files are new. So the mark goes, and `adopt` has to run.
onstart:
    run_by_dvc = os.environ.get("DVC_STAGE")
    if run_by_dvc:
        experiment = run_by_dvc.partition("@")[2]
        Path(f".msroi/{experiment}/agreed").unlink(missing_ok=True)
