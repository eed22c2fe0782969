# The last rule: DVC takes over what a full run made. The mark says that both agree.
rule record:
    input:
        pipeline.outputs(STAGES),
    output:
        local(".msroi/{experiment}/agreed"),
    log:
        "logs/{experiment}/record.log",
    localrule: True
    shell:
        "python -m msroi stage record --experiment {wildcards.experiment} "
        "--where {input} > {log} 2>&1"


# DVC removes a stage's outputs before it starts it, so a Snakemake beside it could miss what it has
# just made: it is refused, as it would be beside another Snakemake.
#
# A stage that DVC runs again may come out as it was. To DVC, which goes by content, there is then
# nothing to adopt, but to Snakemake the files are new. So the mark goes, and `adopt` has to run,
# whose own `snakemake --touch` must leave it.
onstart:
    stage, _, experiment = os.environ.get("DVC_STAGE", "").partition("@")
    if not stage and (process := dvc_at_work()):
        raise WorkflowError(
            f"A dvc, process {process}, is at work in this folder; wait until it has ended, then "
            "run the same command again."
        )
    # a folder's local copy stays, and would keep files that the stored folder has no more
    for file in rules.unrecorded.input:
        if STORED and Path(file).is_dir():
            shutil.rmtree(file)
    if stage not in ("", pipeline.ADOPT):
        Path(f".msroi/{experiment}/agreed").unlink(missing_ok=True)
