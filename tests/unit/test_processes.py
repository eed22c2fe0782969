"""Photos in processes: in order, each with its cores, and nothing lost if one is killed."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import skimage.data
import work
from PIL import Image

from msroi.cores import cores
from msroi.errors import ImageError, MissingError
from msroi.photos import processes

# where the tests run in the background of a script, interrupts are ignored
INTERRUPTIBLE = """
import signal, sys
from msroi.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
IMAGES = [Path(f"{number}.png") for number in range(6)]


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_the_images_order(jobs):
    assert list(processes.mapped(work.name_it, IMAGES, jobs)) == [of.name for of in IMAGES]
    assert list(processes.mapped(work.name_it, [], jobs)) == []


def test_one_job_or_one_image_works_in_this_process():
    for images, jobs in ((IMAGES, 1), (IMAGES[:1], 2)):
        assert {of[0] for of in processes.mapped(work.tell, images, jobs)} == {os.getpid()}


def test_each_process_has_its_share_of_the_cores_and_one_thread_for_a_product():
    told = list(processes.mapped(work.tell, IMAGES, 2))
    shares = {pid: tuple(share) for pid, share, _ in told}
    assert os.getpid() not in shares
    assert len(shares) == 2
    assert all(threads == {1} for _, _, threads in told)
    if hasattr(os, "sched_setaffinity") and len(cores()) > 1:
        assert sorted(sum(shares.values(), ())) == cores()


def test_more_jobs_than_cores_share_them():
    jobs = len(cores()) + 1
    assert all(share for _, share, _ in processes.mapped(work.tell, IMAGES, jobs))


def test_each_process_starts_its_work_once(tmp_path):
    begun = tmp_path / "begun"
    list(processes.mapped(partial(work.count, begun), IMAGES, 2))
    pids = begun.read_text().split()
    assert len(pids) == len(set(pids)) <= 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_missing_for_all_ends_it(jobs):
    with pytest.raises(MissingError, match=r"^no model is there\.$"):
        list(processes.mapped(work.missing, IMAGES, jobs))


def test_a_defect_is_not_hidden():
    with pytest.raises(ValueError, match=r"a defect of 0\.png"):
        list(processes.mapped(work.have_a_defect, IMAGES, 2))


def test_nothing_more_begins_when_nobody_listens(tmp_path):
    images = [tmp_path / str(number) for number in range(50)]
    results = processes.mapped(work.note_it, images, 2)
    next(results)
    results.close()
    assert len(list(tmp_path.iterdir())) < 10


@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_process_that_is_killed_costs_its_image_alone(at):
    images = [*IMAGES[:at], Path("killed.png"), *IMAGES[at:]]
    results = list(processes.mapped(work.be_unlucky, images, 2))
    lost = results.pop(at)
    assert results == [of.name for of in IMAGES]
    assert isinstance(lost, ImageError)
    assert str(lost) == (
        "killed.png takes more memory than there is, or the system has ended its process for "
        "another reason; close other programs, or make the image smaller."
    )


def test_processes_end_with_the_one_that_asked(tmp_path):
    given = (
        "from functools import partial; from pathlib import Path; import work\n"
        "from msroi.photos import processes\n"
        "if __name__ == '__main__':\n"
        "    images = [Path(str(number)) for number in range(4)]\n"
        f"    list(processes.mapped(partial(work.be_slow, Path({str(tmp_path)!r})), images, 2))\n"
    )
    script = tmp_path / "asks.py"
    script.write_text(given)
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    asks = subprocess.Popen([sys.executable, script], env=os.environ | {"PYTHONPATH": path})

    def there() -> list[int]:
        return [int(of.name) for of in tmp_path.iterdir() if of.name.isdigit()]

    waited(lambda: len(there()) == 2)
    asks.send_signal(signal.SIGKILL)
    asks.wait()
    waited(lambda: not any(map(lives, there())))


def test_an_interrupt_ends_all_and_is_told_once(tmp_path):
    """As a terminal sends it: to the program and to its processes."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(60):
        Image.fromarray(skimage.data.astronaut()).save(photos / f"{number:02}.jpg", quality=95)
    given = [photos, "--out", out, "--method", "jpeg", "--quality", "70", "--jobs", "2"]
    run = subprocess.Popen(
        [sys.executable, "-u", "-c", INTERRUPTIBLE, "compress", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert run.stdout.readline().startswith(f"{photos / '00.jpg'}: ")
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert (run.returncode, said) == (130, "msroi: stopped.\n")
    made = sorted(out.iterdir())
    assert 0 < len(made) < 60
    for path in made:
        Image.open(path).load()


def waited(done):
    """Wait up to half a minute until something is so, and insist on it."""
    end = time.monotonic() + 30
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    assert done()


def lives(pid):
    """Tell whether a process is there and no zombie, which nobody has waited for."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
