#!/bin/sh
# Trains, evaluates, exports, verifies, and predicts or generates, once. Called by `make demo`.
#
#   tools/demo.sh TASK DATASET DATA_DIR NET ACTIVATION EPOCHS      (an empty value means the default)
set -eu
cd "$(dirname "$0")/.."
train=.venv/train/bin/python
serve=.venv/serve/bin/python

task=${1:-classification} dataset=${2:-digits} data_dir=${3:-} net=${4:-} activation=${5:-ash}
epochs=${6:-}
case $task-$dataset in
    classification-digits) recipe=digits ;;
    classification-*) recipe=cifar-short ;;
    generation-digits) recipe=dcgan-digits ;;
    generation-*) recipe=dcgan-celeba ;;
    *) echo "demo.sh: error: TASK is classification or generation, got $task" >&2; exit 2 ;;
esac
case $net in
    resnet_v1_*) options=zero_init_residual=true ;; # for runs of few steps: see docs/nets.md
    *) options= ;;
esac
dir=runs/demo-$dataset${net:+-$net}-$activation
if [ "$task" != classification ]; then
    dir=$dir-$task
fi
artifact=$dir/artifact

step() { printf '\n== %s\n' "$*"; }

# A finished demo is done again; until that is finished, the old one is kept beside it. An
# interrupted demo goes on.
if [ -e "$dir/finished" ]; then
    rm -rf "$dir-before"
    mv "$dir" "$dir-before"
fi
if [ -e "$dir/run/settings.json" ]; then
    step "training, going on where it was interrupted"
    $train tools/train.py --resume --run-dir "$dir/run" ${data_dir:+--data-dir "$data_dir"} \
        ${epochs:+--epochs "$epochs"}
else
    step "training"
    $train tools/train.py --recipe $recipe --dataset "$dataset" --activation "$activation" \
        --run-dir "$dir/run" ${data_dir:+--data-dir "$data_dir"} ${net:+--net "$net"} \
        ${epochs:+--epochs "$epochs"} ${options:+--net-options "$options"}
fi

classification() {
    step "evaluating with TensorFlow on the validation split, which chose the best checkpoint"
    $train tools/evaluate.py "$dir/run" --split validation
    step "evaluating with TensorFlow on the test split, which chose nothing"
    $train tools/evaluate.py "$dir/run" --split test
    export_and_verify
    step "classifying sample images under onnxruntime"
    $train tools/save_images.py "$dataset" "$dir/images" ${data_dir:+--data-dir "$data_dir"} \
        --split validation --per-class 2 --overwrite
    $serve tools/predict.py "$artifact" "$dir"/images/*/*.png --top 1 \
        --save "$dir/predictions.png" --overwrite
    made="sample predictions:  $dir/predictions.png"
}

generation() {
    step "measuring how different the samples are, with TensorFlow"
    $train tools/evaluate.py "$dir/run" --split validation
    export_and_verify
    step "generating images under onnxruntime"
    $serve tools/generate.py "$artifact" "$dir/images.png" --grid 10x10 --overwrite
    $serve tools/generate.py "$artifact" "$dir/walk.png" --walk 0 1 --overwrite
    made="generated images:    $dir/images.png
from one to another: $dir/walk.png"
}

export_and_verify() {
    step "exporting to ONNX"
    $train tools/export_onnx.py "$dir/run" "$artifact" --overwrite
    step "verifying under onnxruntime, without TensorFlow"
    $serve tools/verify_onnx.py "$artifact"
}

$task
touch "$dir/finished"
rm -rf "$dir-before"

step "done"
echo "model:               $artifact/model.onnx"
echo "learning curve:      $dir/run/learning_curve.png"
echo "$made"
