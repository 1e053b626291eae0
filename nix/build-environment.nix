# What every build that runs Python sets. The bytes depend on none of these: `just repro` varies them. They are fixed all the same,
# so that a mistake there does not show as a build that fails now and then.
{
  LC_ALL = "C.UTF-8";
  OMP_NUM_THREADS = "1";
  PYTHONDONTWRITEBYTECODE = "1";
  PYTHONHASHSEED = "0";
}
