# A rule for each stage of dvc.yaml; one that works in chunks has two, of which its own gathers.
for stage in STAGES:
    if stage in CHUNKED:

        rule:
            name:
                f"{stage}_chunk"
            input:
                inputs(stage),
            output:
                temp(directory(CHUNK[stage])),
            log:
                f"logs/{{experiment}}/{stage}/{{scatteritem}}.{{hash}}.log",
            threads: workflow.cores
            params:
                stage=stage,
            shell:
                "python -m msroi stage {params.stage} --experiment {wildcards.experiment} "
                "--where {output} --chunk {wildcards.scatteritem} --into {output} > {log} 2>&1"

        rule:
            name:
                stage
            input:
                inputs(stage),
                chunks=chunks(stage),
            output:
                outputs(stage),
            log:
                f"logs/{{experiment}}/{stage}.log",
            localrule: True
            params:
                stage=stage,
                decides=decides(stage),
            shell:
                "python -m msroi stage {params.stage} --experiment {wildcards.experiment} "
                "--where {output} --gather {input.chunks} > {log} 2>&1"

    elif stage != pipeline.ADOPT:

        rule:
            name:
                stage
            input:
                inputs(stage),
            output:
                outputs(stage),
            log:
                f"logs/{{experiment}}/{stage}.log",
            localrule: stage in LOCAL
            threads: workflow.cores if stage in PARALLEL else 1
            params:
                stage=stage,
                decides=decides(stage),
            shell:
                "python -m msroi stage {params.stage} --experiment {wildcards.experiment} "
                "--where {output} > {log} 2>&1"
