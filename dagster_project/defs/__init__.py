"""What you see in the Dagster UI, by stage: ingestion, transformation, delivery, automation.

Belongs here: Dagster objects, and as good as no logic. The modules beside this package do the work and never import Dagster.
"""
