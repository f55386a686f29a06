//! Promise: (being written).
