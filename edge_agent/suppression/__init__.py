"""Suppression after ISA-18.2: alarms that stand and are not announced, because a person shelved them for a time or took
their machine out of service, or because there are too many at once. Nothing is hidden: each is recorded with its state
and the name of whoever did it, and what still stands when it is over is told then.

One stage between the inbox and the journal: every event passes `Suppression.judge`, whoever made it.

| file | what it is |
|---|---|
| `shelf.py` | the noun: what is shelved or out of service, by whom, why and until when |
| `flood.py` | too many at once: what is gathered, by machine and site |
| `utility.py` | machines that went off together and share something |
| `suppression.py` | the stage: judges events, carries orders out, ends what has run out |
| `directory.py` | what people call things, and what they mean |
| `order.py` | orders as they come over the status socket |
| `shown.py` | what the status says |
| `kept.py` | the file that outlives a restart |
| `words.py`, `group_words.py` | what people read of it |
"""

from edge_agent.suppression.suppression import Suppression

__all__ = ["Suppression"]
