import threading
import time

import pytest

from fedretina.dom import DomConfig, decode, decode_tensors, encode
from fedretina.dom.parallel import count_threads, map_all, ordered_map
from fedretina.errors import BadArgument, Corrupt


@pytest.mark.parametrize("config", [DomConfig(), DomConfig(effort="small"), DomConfig(lattice=True, effort="fast")])
def test_bytes_do_not_depend_on_the_number_of_threads(config, residual_cnn, trained, identical):
    base = residual_cnn(widths=(16, 64, 96))
    new = trained(base)
    payloads = {encode(new, base=base, config=config, threads=threads) for threads in (1, 2, 7)}
    assert len(payloads) == 1
    assert identical(decode(*payloads, base=base, threads=1), decode(*payloads, base=base, threads=5))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_order_and_few_are_in_flight(threads):
    pending, most, lock = 0, 0, threading.Lock()

    def work(item):
        nonlocal pending, most
        with lock:
            pending += 1
            most = max(most, pending)
        time.sleep(0.001 * (item % 3))
        with lock:
            pending -= 1
        return item * item

    assert list(ordered_map(work, range(20), threads=threads)) == [item * item for item in range(20)]
    assert most <= threads


def test_the_heaviest_are_begun_first_and_results_come_in_order():
    begun, both = [], threading.Barrier(2, timeout=60)

    def work(item):
        begun.append(item)
        both.wait()
        return -item

    items = [2**18, 2**21, 2**19, 2**22]
    assert map_all(work, items, threads=2, weigh=lambda item: item) == [-item for item in items]
    assert set(begun[:2]) == {2**22, 2**21}


@pytest.mark.parametrize("mapped", [ordered_map, map_all])
@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_reaches_the_caller(mapped, threads):
    def work(item):
        if item == 3:
            raise Corrupt("item 3")
        return item

    with pytest.raises(Corrupt, match="item 3"):
        list(mapped(work, range(9), threads=threads, weigh=lambda item: 2**18))


def test_as_many_threads_as_were_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert (count_threads(None), count_threads(2)) == (3, 2)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= count_threads(None) <= 8
    with pytest.raises(BadArgument, match="threads is 0"):
        count_threads(0)


def test_tensors_are_delivered_one_by_one(residual_cnn, trained, identical):
    base = residual_cnn()
    payload = encode(trained(base), base=base)
    assert identical(dict(decode_tensors(payload, base=base)), decode(payload, base=base))
