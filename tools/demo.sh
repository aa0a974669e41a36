#!/bin/sh
# Trains, evaluates, exports, verifies and predicts, once. Called by `make demo`.
#
#   tools/demo.sh DATASET DATA_DIR NET ACTIVATION EPOCHS      (an empty value means the default)
set -eu
cd "$(dirname "$0")/.."
train=.venv/train/bin/python
serve=.venv/serve/bin/python

dataset=${1:-digits} data_dir=${2:-} net=${3:-} activation=${4:-ash} epochs=${5:-}
case $dataset in
    digits) recipe=digits ;;
    *) recipe=cifar-short ;;
esac
case $net in
    resnet_v1_*) options=zero_init_residual=true ;; # for runs of few steps: see docs/nets.md
    *) options= ;;
esac
dir=runs/demo-$dataset${net:+-$net}-$activation
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
step "evaluating with TensorFlow on the validation split, which chose the best checkpoint"
$train tools/evaluate.py "$dir/run" --split validation
step "evaluating with TensorFlow on the test split, which chose nothing"
$train tools/evaluate.py "$dir/run" --split test
step "exporting to ONNX"
$train tools/export_onnx.py "$dir/run" "$artifact" --overwrite
$train tools/save_images.py "$dataset" "$dir/images" ${data_dir:+--data-dir "$data_dir"} \
    --split validation --per-class 2 --overwrite
step "verifying under onnxruntime, without TensorFlow"
$serve tools/verify_onnx.py "$artifact"
step "classifying sample images under onnxruntime"
$serve tools/predict.py "$artifact" "$dir"/images/*/*.png --top 1 --save "$dir/predictions.png" \
    --overwrite
touch "$dir/finished"
rm -rf "$dir-before"

step "done"
echo "model:               $artifact/model.onnx"
echo "learning curve:      $dir/run/learning_curve.png"
echo "sample predictions:  $dir/predictions.png"
