"""The analytics stage: frames in, events out. All calls of one `Detection` come from one worker thread.

`Detection` turns each frame into a block, scores it with one of the engines of `analytics.kernels`, and makes events of
what the detectors say: with delays, hysteresis, one event for one cause, and words for people. Nothing here imports
numba until a `Detection` with engine "numba" is built or `warm_up` is called.
"""

from edge_agent.detect.detection import Detection
from edge_agent.detect.engine import warm_up

__all__ = ["Detection", "warm_up"]
