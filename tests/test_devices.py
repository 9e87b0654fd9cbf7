"""Persons spread over devices and processes: the fit is that of one device."""

import pickle
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

import eirt
from eirt.devices import chosen
from tests.devices_worker import APART, CASES, FIRST, N, data, outcome

EXACT = {"rtol": 1e-9, "atol": 1e-12}
# searches that samples lead end elsewhere, within what they stop at; large graded models have
# informations in single precision
SEARCHED = {"rtol": 1e-6, "atol": 1e-5}


def _run(folder, *others):
    """Run workers side by side, and return what they found."""
    commands = [[sys.executable, "-m", "tests.devices_worker", folder, *more] for more in others]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    said = [process.communicate()[1].decode()[-4000:] for process in running]
    assert not any(process.returncode for process in running), "\n".join(said)
    return [pickle.loads(path.read_bytes()) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def single():
    """Fits on one device."""
    return {case: outcome(case, slice(None)) for case in CASES}


@pytest.fixture(scope="module")
def devices(tmp_path_factory):
    """Fits on four devices."""
    return _run(tmp_path_factory.mktemp("devices"), [])[0]


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Fits in two processes, each with its own persons."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    return _run(tmp_path_factory.mktemp("processes"), ["0", port], ["1", port])


def _agree(found, one, case):
    assert found["converged"]
    assert found["names"] == one["names"]
    assert found["summary"].splitlines()[:3] == one["summary"].splitlines()[:3]
    for what in ("loglik", "bic", "n"):
        np.testing.assert_allclose(found[what], one[what], err_msg=what, **EXACT)
    for what in ("estimates", "vcov", "sandwich") if case == "complete" else ("estimates", "vcov"):
        np.testing.assert_allclose(found[what], one[what], err_msg=what, **_close(case))


def _close(case):
    return SEARCHED if case.startswith("large") else EXACT


def _same_persons(found, expected, case):
    assert list(found["id"]) == list(expected["id"])
    columns = ["n", "score", "ability", "se"]
    np.testing.assert_allclose(found[columns], expected[columns], **_close(case))


@pytest.mark.parametrize("case", CASES)
def test_four_devices(devices, single, case):
    _agree(devices[case], single[case], case)
    _same_persons(devices[case]["persons"], single[case]["persons"], case)


@pytest.mark.slow
@pytest.mark.parametrize("case", APART)
def test_two_processes_with_their_own_persons(processes, single, case):
    whole = single[case]["persons"]
    for found, own in zip(processes, (whole[:FIRST], whole[FIRST:]), strict=True):
        _agree(found[case], single[case], case)
        _same_persons(found[case]["persons"], own, case)
    assert sum(len(found[case]["persons"]) for found in processes) == N


@pytest.mark.slow
def test_processes_find_the_same(processes):
    one, other = processes
    for case in APART:
        np.testing.assert_array_equal(one[case]["estimates"], other[case]["estimates"])


def test_what_does_not_spread_says_so(devices):
    said = devices["refusals"]
    assert "runs on one device, and 4 are asked for: name one, device='gpu'" in said["crossed"]
    assert said["conditional"].startswith("Conditional runs on one device, and 2 are asked for")


@pytest.mark.slow
def test_what_processes_must_agree_on(processes):
    for found in processes:
        said = found["refusals"]
        assert "id p0, p1, p10, p11, p12 and 45 more has responses in several" in said["person"]
        assert "id p0, p1, p2, p3, p4 and 45 more has" in said["person, listed"]
        assert "Process 1 has other items than process 0 (a, z)" in said["items"]
        assert "runs in one process" in said["refit"]


def test_one_device_by_name():
    frame = data()["binary"]
    fit, same = eirt.rasch(frame, wide=True, device="cpu"), eirt.rasch(frame, wide=True)
    np.testing.assert_array_equal(fit.full, same.full)
    assert chosen(jax.local_devices()).each == tuple(jax.local_devices())


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpuu", "No device 'gpuu'; there are 'cpu', 'gpu', 'tpu', 'all'. Did you mean 'gpu'?"),
        ("tpu", "JAX finds no 'tpu' on this machine, only "),
        ([], "device=[] holds no devices"),
        ([0, 1], "holds no devices; give one of"),
    ],
)
def test_unknown_devices(device, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        eirt.rasch(data()["binary"], wide=True, device=device)
    assert message in str(caught.value)
