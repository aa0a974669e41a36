// Runs an image classifier's artifact in the browser.
import * as ort from './ort.wasm.min.mjs';

// Threads would need a cross-origin isolated page, which a plain file server does not make.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = './';

// Opens model.onnx as model.json describes it: labels, input_shape, preprocessing.
export async function open() {
  const facts = await (await fetch('model.json')).json();
  const session = await ort.InferenceSession.create('model.onnx');
  return {facts, session};
}

// Classifies a batch. pixels: Uint8Array, RGB, N x height x width x 3. Gives {logits, probabilities}, Float32Arrays.
export async function run({facts, session}, pixels) {
  const [height, width] = facts.input_shape;
  const count = pixels.length / (height * width * 3);
  const images = new ort.Tensor('uint8', pixels, [count, height, width, 3]);
  const {logits, probabilities} = await session.run({images});
  return {logits: logits.data, probabilities: probabilities.data};
}

// The part of an image of a size, in its own pixels, that the model's input shows.
export function sourceOf(width, height, facts) {
  const [rows, columns] = facts.input_shape;
  const {resize = 'cover', crop = 1} = facts.preprocessing;
  if (resize === 'stretch') return [0, 0, width, height];
  const scale = Math.max(columns / width, rows / height) / crop;
  const [across, down] = [Math.min(width, columns / scale), Math.min(height, rows / scale)];
  return [(width - across) / 2, (height - down) / 2, across, down];
}

// The pixels of an image file, a Blob, as `run` takes them.
export async function fit({facts}, file) {
  const [rows, columns] = facts.input_shape;
  const image = await createImageBitmap(file, {colorSpaceConversion: 'none', premultiplyAlpha: 'none'});
  const context = new OffscreenCanvas(columns, rows).getContext('2d', {willReadFrequently: true});
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, ...sourceOf(image.width, image.height, facts), 0, 0, columns, rows);
  const {data} = context.getImageData(0, 0, columns, rows);
  return Uint8Array.from({length: rows * columns * 3}, (_, index) => data[4 * Math.floor(index / 3) + index % 3]);
}
