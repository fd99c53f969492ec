"""What the container world is made of: a Docker engine (`engine`) and three images (`images`)."""
