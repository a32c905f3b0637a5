"""The line that lies nearest to what was measured (least squares)."""


def slope(points):
    """By how much y grows with each unit of x, of [(x, y)]; 0 where all x are
    one."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
