"""Budgets of size: a file has at most 400 lines, a function 40, and at most 2 % of functions have more than 30."""

import ast
import sys
from pathlib import Path

FILE, FUNCTION, LONG, SHARE = 400, 40, 30, 0.02


def lengths(tree: ast.AST) -> list[tuple[int, int, str]]:
    """(lines, first line, name) of every function."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        ((n.end_lineno or n.lineno) - n.lineno + 1, n.lineno, n.name) for n in ast.walk(tree) if isinstance(n, kinds)
    ]


def main() -> int:
    """Print what is over budget; 1 when anything is."""
    root = Path(__file__).parent.parent
    bad, count, long = [], 0, 0
    for path in sorted((root / "reconciler").rglob("*.py")):
        text = path.read_text()
        if len(text.splitlines()) > FILE:
            bad.append(f"{path.relative_to(root)}: {len(text.splitlines())} lines")
        for size, line, name in lengths(ast.parse(text)):
            count += 1
            long += size > LONG
            if size > FUNCTION:
                bad.append(f"{path.relative_to(root)}:{line}: {name} has {size} lines")
    if long > count * SHARE:
        bad.append(f"{long} of {count} functions have more than {LONG} lines")
    print("\n".join(bad) or f"budgets kept: {count} functions, {long} longer than {LONG} lines")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
