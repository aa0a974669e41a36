"""Load by wrk, every answer of which is checked; health checks and memory beside it.

    .venv/serving/bin/python tests/serving/load.py [ARTIFACT] --clients 32 --seconds 60

prints what docs/performance.md has: requests/s, latencies, CPU a request, beside onnxruntime called
directly in turns with it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]
from endpoint import ROOT, Endpoint  # noqa: E402

CASES = 32


def make_cases(endpoint, model, batch, seed=0):
    """Requests of random pixels, and their right answers, of which each holds its number.

    An answer is taken from the endpoint, one request at a time; `check_cases` holds the outputs
    against onnxruntime.

    Returns:
      List of (pixels, body, length of its JSON, answer).
    """
    specs = json.loads(endpoint.get(f'/v2/models/{model}')[2])
    shape = [batch, *specs['inputs'][0]['shape'][1:]]
    random, cases = np.random.RandomState(seed), []
    for number in range(1, CASES + 1):
        pixels = random.randint(0, 256, shape).astype(np.uint8)
        header = json.dumps({'id': str(number), 'parameters': {'binary_data_output': True},
                             'inputs': [{'name': 'images', 'datatype': 'UINT8', 'shape': shape,
                                         'parameters': {'binary_data_size': pixels.size}}]})
        body = header.encode() + pixels.tobytes()
        status, _, answer = endpoint.request(
            'POST', f'/v2/models/{model}/infer', body,
            {'Inference-Header-Content-Length': str(len(header))})
        assert status == 200, answer
        cases.append((pixels, body, len(header), answer))
    return cases


def check_cases(cases, model):
    """Asserts that the answers are those of an `ash_onnx` model, bit by bit."""
    for pixels, _, _, answer in cases:
        expected = b''.join(output.tobytes() for output in model.run(pixels))
        assert answer.endswith(expected) and answer[:1] == b'{'


def write_lua(path, model, cases):
    """Writes the file that load.lua reads."""
    def quoted(data):
        return '"' + ''.join(f'\\{byte:03d}' for byte in data) + '"'
    lines = [f'path = "/v2/models/{model}/infer"', 'cases = {']
    lines += [f'{{body = {quoted(body)}, length = "{length}", answer = {quoted(answer)}}},'
              for _, body, length, answer in cases]
    path.write_text('\n'.join([*lines, '}\n']))


def start_wrk(endpoint, lua, clients, seconds):
    """Starts wrk with a number of connections; returns the process."""
    return subprocess.Popen(
        ['wrk', '-t', '1', '-c', str(clients), '-d', f'{seconds}s', '--timeout', '30s', '-s',
         Path(__file__).with_name('load.lua'), f'http://127.0.0.1:{endpoint.http}', '--', lua],
        stdout=subprocess.PIPE, text=True)


def read_wrk(process):
    """Waits for wrk; returns the dict that load.lua writes."""
    said, _ = process.communicate()
    line, = [line for line in said.splitlines() if line.startswith('RESULT ')]
    return json.loads(line.removeprefix('RESULT '))


class Watch:
    """Asks for the health every 20 ms, and reads memory, until the block ends.

    Attributes:
      health: seconds of each check.
      memory: (seconds since the beginning, resident bytes) of each check.
    """

    def __init__(self, endpoint):
        self._endpoint, self._stop = endpoint, threading.Event()
        self.health, self.memory = [], []

    def __enter__(self):
        self._begin = time.monotonic()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self):
        while not self._stop.wait(0.02):
            begin = time.monotonic()
            status, _, _ = self._endpoint.get('/v2/health/live')
            self.health.append(time.monotonic() - begin if status == 200 else float('inf'))
            self.memory.append((time.monotonic() - self._begin, self.resident()))

    def resident(self):
        """Resident bytes of the endpoint."""
        pages = Path(f'/proc/{self._endpoint.process.pid}/statm').read_text().split()[1]
        return int(pages) * os.sysconf('SC_PAGE_SIZE')

    def __exit__(self, *raised):
        self._stop.set()
        self._thread.join()

    def growth(self, warm_up=10):
        """How much the memory grew after a time, as a share of what it was then."""
        after = [size for second, size in self.memory if second >= warm_up]
        return max(after) / after[0] - 1


def cpu_seconds(process):
    """CPU seconds that a process has taken."""
    fields = Path(f'/proc/{process.pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def run_load(endpoint, lua, clients, seconds):
    """One load; returns wrk's dict with health, memory and CPU."""
    with Watch(endpoint) as watch:
        begin = cpu_seconds(endpoint.process)
        result = read_wrk(start_wrk(endpoint, lua, clients, seconds))
        spent = cpu_seconds(endpoint.process) - begin
    answered = result['right'] + result['wrong']
    result.update(rate=answered / result['seconds'], cpu_ms=1e3 * spent / max(1, answered),
                  health_p99=float(np.percentile(watch.health, 99)), health_max=max(watch.health),
                  checks=len(watch.health))
    if seconds > 12:
        result['growth'] = watch.growth()
    return result


def time_directly(model, pixels, workers, seconds):
    """(runs a second, CPU milliseconds a run) of a model called by as many threads."""
    counts, end = [0] * workers, time.monotonic() + seconds

    def work(index):
        while time.monotonic() < end:
            model.run(pixels)
            counts[index] += 1
    begin, started = time.process_time(), time.monotonic()
    threads = [threading.Thread(target=work, args=(index,)) for index in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (sum(counts) / (time.monotonic() - started),
            1e3 * (time.process_time() - begin) / sum(counts))


def main():
    """Measures, and prints a line for each round."""
    import tempfile

    import ash_onnx
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('artifact', nargs='?', type=Path,
                        default=ROOT / 'checkpoints/resnet20-cifar10-ash')
    parser.add_argument('--clients', type=int, nargs='+', default=[1, 8, 32, 300])
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--rounds', type=int, default=1)
    args = parser.parse_args()
    model, workers = ash_onnx.load_model(args.artifact, threads=1), os.cpu_count()
    name = args.artifact.resolve().name
    print('load average before:', os.getloadavg())
    with tempfile.TemporaryDirectory() as folder, Endpoint(args.artifact) as endpoint:
        cases = make_cases(endpoint, name, args.batch)
        check_cases(cases, model)
        lua = Path(folder) / 'cases.lua'
        write_lua(lua, name, cases)
        for clients in args.clients:
            rates = []
            for _ in range(args.rounds):
                direct = time_directly(model, cases[0][0], workers, max(2, args.seconds / 6))
                print('onnxruntime directly, {} threads: {:.0f}/s, {:.2f} ms of CPU each'.format(
                    workers, *direct))
                result = run_load(endpoint, lua, clients, args.seconds)
                rates.append(result['rate'])
                print(f'{clients} clients:', json.dumps({
                    key: round(value, 3) for key, value in result.items()}), flush=True)
            print(f'{clients} clients: median {statistics.median(rates):.0f}/s of {rates}')
    print('load average after:', os.getloadavg())


if __name__ == '__main__':
    main()
