"""Two instructions on memory that numba has no words for. Neither changes what a kernel calculates."""

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic
from numba.np import arrayobj as untyped_arrayobj

cgutils: Final[Any] = untyped_cgutils  # numba's code generation has no types
arrayobj: Final[Any] = untyped_arrayobj


def _ask_for_line(typing: Any, table: Any, row: Any, word: Any) -> Any:
    """Asks for the cache line of `table[row, word]`; changes nothing that can be seen."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = cgutils.get_item_pointer(context, builder, signature.args[0], array, arguments[1:], wraparound=False)
        address = builder.bitcast(place, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [address, number(1), number(3), number(1)])  # to write, keep close, data
        return context.get_dummy_value()

    return types.void(table, types.intp, types.intp), generate


def _lend_row(typing: Any, table: Any, row: Any) -> Any:
    """`table[row]` without counting references."""
    lent = types.Array(table.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = context.make_array(signature.args[0])(context, builder, arguments[0])
        places = [arguments[1], context.get_constant(types.intp, 0)]
        first = cgutils.get_item_pointer(context, builder, signature.args[0], whole, places, wraparound=False)
        part = context.make_array(lent)(context, builder)
        width = cgutils.unpack_tuple(builder, whole.shape, 2)[1]
        size = context.get_constant(types.intp, np.dtype(np.int64).itemsize)
        arrayobj.populate_array(part, data=first, shape=[width], strides=[size], itemsize=size, meminfo=None)
        return part._getvalue()  # the only way to a built array: numba's own code does the same

    return lent(table, types.intp), generate


prefetch: Final[Any] = intrinsic(_ask_for_line)
"""`prefetch(table, row, word)` in compiled code: the cache line of `table[row, word]` (a 2-D array), to be written."""
lent_row: Final[Any] = intrinsic(_lend_row)
"""`lent_row(table, row)` in compiled code: `table[row]` of a 2-D C array of 64-bit words, valid while `table` lives.

The table must be an argument of the kernel. numba's own `table[row]` counts references with locked instructions, in
each function that it is handed to: they were half of the time that a kernel took.
"""
