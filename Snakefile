# The pipeline from download to report. dvc.yaml holds the list of stages; every rule takes
# its input, output and params from there (workflow/rules/common.smk).
#
#   snakemake                                     the experiments of params.yaml
#   snakemake unrecorded                          the same, unknown to DVC
#   snakemake results/demo/metrics/per_image.csv  one file and what it needs
#   dvc repro                                     the same, decided by DVC

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst"


# all that stages make, without a word to DVC, so that dvc.lock stays as it is
rule unrecorded:
    input:
        expand(pipeline.outputs(STAGES), experiment=EXPERIMENTS),


rule all:
    default_target: True
    input:
        local(expand(".msroi/{experiment}/agreed", experiment=EXPERIMENTS)),
        # and all that was recorded: Snakemake would not miss a file that nothing has to read
        rules.unrecorded.input,


include: "workflow/rules/stages.smk"
include: "workflow/rules/record.smk"
