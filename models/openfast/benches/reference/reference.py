"""The reference, timed. Started by the benchmark, which asks line by line; see comparison.rs."""

import json
import os
import sys
import time

import numpy as np

from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor


def timed(call, seconds):
    """Processor seconds per call, over as many calls as fit; at least one."""
    calls = 0
    begin, from_processor = time.perf_counter(), time.process_time()
    while True:
        call(calls)
        calls += 1
        if time.perf_counter() - begin >= seconds:
            return (time.process_time() - from_processor) / calls


def main():
    if hasattr(os, "sched_setaffinity"):
        # One core, as the other side has.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    answers, sys.stdout = sys.stdout, sys.stderr
    tokenizer = UniversalActionProcessor.from_pretrained_local(sys.argv[1])
    chunks, ids, shape = None, None, {}
    for line in sys.stdin:
        ask = json.loads(line)
        if ask["do"] == "load":
            horizon, dims = ask["horizon"], ask["dims"]
            shape = {"time_horizon": horizon, "action_dim": dims}
            chunks = np.fromfile(ask["path"], "<f4").reshape(-1, horizon, dims)
            ids = tokenizer(chunks)
            decoded = ask["path"] + ".decoded"
            tokenizer.decode(ids, **shape).astype("<f8").tofile(decoded)
            answer = {"ids": ids, "decoded": decoded}
        else:
            batch, singles = ask["batch"], ask["singles"]
            if batch == 1:
                if ask["do"] == "encode":
                    call = lambda n: tokenizer(chunks[n % singles])
                else:
                    call = lambda n: tokenizer.decode([ids[n % singles]], **shape)
            elif ask["do"] == "encode":
                call = lambda _: tokenizer(chunks[:batch])
            else:
                call = lambda _: tokenizer.decode(ids[:batch], **shape)
            answer = {"seconds": timed(call, ask["seconds"]) / batch}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
