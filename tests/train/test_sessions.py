"""How sessions run: what a process keeps of the memory of its tensors."""
import subprocess
import sys

import pytest

# Two ops on a map of 40 MB in the threads of a session, time and again: how many pages the system
# had to give for the last ten runs. Freed arrays lie where aligned ones fit only after some dozens.
PAGES = '''
import resource
import sys
import tensorflow.compat.v1 as tf
from ash_tf1.sessions import keep_memory
if sys.argv[1] == 'kept':
    assert keep_memory()
x = tf.Variable(tf.zeros([10 * 2 ** 20])).read_value()
y = tf.nn.relu(tf.nn.relu(x)).op
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    run = session.make_callable(y)
    for i in range(120):
        if i == 110:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
'''


@pytest.mark.parametrize('kept', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_memory_of_large_maps_is_used_again_when_it_is_kept(kept):
    """40 MB are 10,240 pages; without keeping, each run needs those of both maps anew."""
    shown = subprocess.run([sys.executable, '-W', 'ignore', '-c', PAGES,
                            'kept' if kept else 'given back'], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, check=True, timeout=120)
    pages = int(shown.stdout)
    assert pages < 10240 if kept else pages > 10 * 10240
