"""Asking the processor for memory before it is needed: an instruction that changes nothing that can be seen."""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

cgutils: Final[Any] = untyped_cgutils  # numba's code generation has no types


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


prefetch: Final[Any] = intrinsic(_ask_for_line)
"""`prefetch(table, row, word)` in compiled code: the cache line of `table[row, word]` (a 2-D array), to be written."""
