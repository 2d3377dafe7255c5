"""A ComfyUI-compatible server: real core nodes on Pillow and PyAV, faults on order.

Read ``simulator`` (its life), ``machine`` (its parts), ``routes`` (what can be asked), ``prompts``
(how a prompt gets in), ``executor`` (how it runs), ``faults`` (what can go wrong).
"""

from daemon.comfy.simulator.executions import Execution, Executions, read_executions
from daemon.comfy.simulator.faults import Fault, Faults
from daemon.comfy.simulator.simulator import Simulator

__all__ = ["Execution", "Executions", "Fault", "Faults", "Simulator", "read_executions"]
