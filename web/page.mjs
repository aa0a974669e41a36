import {fit, open, run} from './classifier.mjs';

const TOP = 5;
const at = id => document.getElementById(id);
let model = null;

function made(tag, text, parent) {
  const node = document.createElement(tag);
  node.textContent = text;
  parent.append(node);
  return node;
}

function showAnswer(probabilities, milliseconds) {
  const best = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const list = document.createElement('ol');
  for (const index of best.slice(0, TOP)) {
    const row = made('li', '', list);
    row.style.setProperty('--share', `${100 * probabilities[index]}%`);
    made('span', model.facts.labels[index], row);
    made('span', `${(100 * probabilities[index]).toFixed(1)} %`, row);
  }
  const note = document.createElement('p');
  note.className = 'soft';
  note.textContent = `${milliseconds.toFixed(0)} ms in this browser`;
  at('answer').className = '';
  at('answer').replaceChildren(list, note);
}

function showError(text) {
  at('answer').className = 'bad';
  at('answer').textContent = text;
}

async function classify(file) {
  const picture = at('picture');
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.alt = file.name;
  picture.onload = () => {
    picture.classList.toggle('large', picture.naturalWidth > 200);
    if (picture.naturalWidth < 100) picture.width = 4 * picture.naturalWidth;
    else picture.removeAttribute('width');
  };
  picture.onerror = () => { picture.hidden = true; };
  picture.hidden = false;
  at('hint').textContent = file.name;
  try {
    const pixels = await fit(model, file);
    const begin = performance.now();
    const {probabilities} = await run(model, pixels);
    showAnswer(probabilities, performance.now() - begin);
  } catch (error) {
    showError(`${file.name}: ${error.message}`);
  }
}

try {
  model = await open();
  at('about').textContent = `${model.facts.name} · ${model.facts.net}, ${model.facts.labels.length} classes`;
  at('file').disabled = false;
} catch (error) {
  at('about').textContent = '';
  showError(`The model cannot be opened: ${error.message}`);
}
at('file').addEventListener('change', event => event.target.files[0] && classify(event.target.files[0]));
for (const name of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(name, event => {
    event.preventDefault();
    at('drop').classList.toggle('over', name === 'dragover');
    if (name === 'drop' && model && event.dataTransfer.files[0]) classify(event.dataTransfer.files[0]);
  });
}
