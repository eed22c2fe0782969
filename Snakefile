# The pipeline from download to report. dvc.yaml holds the list of stages; every rule takes
# its input, output and params from there (workflow/rules/common.smk).
#
#   snakemake                                     the experiments of params.yaml
#   snakemake results/demo/metrics/per_image.csv  one file and what it needs
#   dvc repro                                     the same, decided by DVC

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/common.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        expand(".msroi/{experiment}/agreed", experiment=EXPERIMENTS),
        # and all that was recorded: Snakemake would not miss a file that nothing has to read
        expand(STAGES[pipeline.ADOPT].deps, experiment=EXPERIMENTS),


include: "workflow/rules/download.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/augment.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/heatmap.smk"
include: "workflow/rules/compress.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/judges.smk"
include: "workflow/rules/rate_distortion.smk"
include: "workflow/rules/conventions.smk"
include: "workflow/rules/anova.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/record.smk"
